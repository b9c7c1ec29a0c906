"""The member list of a network, in parts; other packages import `protocols.member_list`."""
