# Restores a backup onto another volume, as a replacement of the server it was taken from: alerts, webhooks, jobs
# and other apps come back on. Copy the backup to Backups/backup.seqbac and this file into Init/, put in the
# secret key (`moorline show-key` on the old server prints it), and start the container.
# For a copy beside the old server, leave --enable-apps out: its apps then stay off until you release them.
seqsvr restore -y --enable-apps --secret-key="your-secret-key" --backup="../Backups/backup.seqbac"
