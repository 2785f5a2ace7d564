#!/bin/bash
# Becomes Buildbot. Each builder POSTs; a scheduler builds every two seconds, and a reporter tells of each build.
. "$(dirname "$0")/env.sh"
into_data
# Not venv/bin/buildbot, whose first line holds the path that it was installed at.
buildbot=("$DIR/venv/bin/python" -c 'from buildbot.scripts.runner import run; run()')
export PORT HOOKHOST HOOKPORT
if [ ! -f buildbot.tac ]; then
    "${buildbot[@]}" create-master -q "$DATA"
    cat > master.cfg <<'PYTHON'
import os
from buildbot.plugins import reporters, schedulers, steps, util, worker

hook = f"http://{os.environ['HOOKHOST']}:{os.environ['HOOKPORT']}"
names = ["live", "off"]
post = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], b'x').read()"
BuildmasterConfig = {
    "buildbotURL": f"http://127.0.0.1:{os.environ['PORT']}/",
    "buildbotNetUsageData": None,
    "www": {"port": f"tcp:{os.environ['PORT']}:interface=127.0.0.1"},
    "protocols": {"pb": {"port": "tcp:0:interface=127.0.0.1"}},
    "workers": [worker.LocalWorker("local")],
    "builders": [
        util.BuilderConfig(
            name=name,
            workernames=["local"],
            factory=util.BuildFactory([steps.ShellCommand(command=["python3", "-c", post, f"{hook}/{name}"])]),
        )
        for name in names
    ],
    "schedulers": [schedulers.Periodic(name, builderNames=[name], periodicBuildTimer=2) for name in names],
    "services": [reporters.HttpStatusPush(f"{hook}/reporter")],
}
PYTHON
    "${buildbot[@]}" upgrade-master -q "$DATA"
fi
exec "${buildbot[@]}" start --nodaemon "$@" "$DATA"
