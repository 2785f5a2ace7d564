# Puts the newest backup of this volume back. Copy this file into Init/ and restart the container.
# What it replaces is kept: `moorline rollback` brings that back.
seqsvr restore -y --from-latest
