"""*Other systems'* words, mapped to and from ours. Receives a transport, never makes one."""
