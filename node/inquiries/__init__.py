"""Between customs and issuing bodies: verification, refused preference, the Parties view."""
