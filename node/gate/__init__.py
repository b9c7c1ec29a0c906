"""Gates: leasing orders to them, the gate process without a network, what it did."""
