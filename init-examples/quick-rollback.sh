# Restores the newest sound backup of this volume. Copy this file into Init/ and restart the container.
# What it replaces is kept: `moorline rollback` brings that back.
seqsvr restore -y --from-latest
