#!/bin/bash
# The first user, a notification, a monitor that has it and asks for a page, one that finds its port closed, and one like
# the first that is paused.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$DIR/app"
PORT=$PORT HOOK=http://$HOOKHOST:$HOOKPORT exec node - <<'JS'
const socket = require("socket.io-client").io(`http://127.0.0.1:${process.env.PORT}`);
const ask = (what, ...args) => new Promise((resolve, reject) => {
    const done = (answer) => (answer.ok ? resolve(answer) : reject(new Error(`${what}: ${answer.msg}`)));
    socket.emit(what, ...args, done);
});
const monitor = (name, url, notification) => ({
    name, url, type: "http", method: "GET", interval: 20, retryInterval: 20, resendInterval: 0, maxretries: 0, timeout: 5,
    notificationIDList: { [notification]: true }, accepted_statuscodes: ["200-299"], kafkaProducerBrokers: [],
    kafkaProducerSaslOptions: {}, maxredirects: 10, httpBodyEncoding: "json", authMethod: null,
});
const hook = process.env.HOOK;
(async () => {
    await new Promise((resolve) => socket.on("connect", resolve));
    await ask("setup", "admin", "Password-1");
    await ask("login", { username: "admin", password: "Password-1", token: "" });
    const { id } = await ask("addNotification", {
        name: "hook", type: "webhook", webhookURL: `${hook}/told`, webhookContentType: "json", isDefault: false,
    }, null);
    await ask("add", monitor("page", `${hook}/live`, id));
    await ask("add", monitor("closed", "http://127.0.0.1:1/", id));
    const { monitorID } = await ask("add", monitor("paused", `${hook}/off`, id));
    await ask("pauseMonitor", monitorID);
    process.exit(0);
})().catch((error) => { console.error(error.message); process.exit(1); });
JS
