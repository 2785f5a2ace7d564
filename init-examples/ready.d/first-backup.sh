# Runs once, after the server became healthy: copy it into Init/ready.d/. It needs `run --supervise`; --health says how
# health is told. This one takes a backup of what the server has set up for itself.
# Any script will do here but one that restores: the server is using its state.
seqsvr backup
