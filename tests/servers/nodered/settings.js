module.exports = {
    uiHost: "127.0.0.1",
    uiPort: Number(process.env.PORT),
    flowFile: "flows.json",
    credentialSecret: "for tests only",
    telemetry: { enabled: false, updateNotification: false },
    logging: { console: { level: "info", metrics: false, audit: false } },
};
