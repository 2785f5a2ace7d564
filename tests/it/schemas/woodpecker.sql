-- Woodpecker 3: server/model/{cron,task}.go
CREATE TABLE crons (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name TEXT, repo_id INTEGER, creator_id INTEGER, next_exec INTEGER,
    schedule TEXT NOT NULL, created INTEGER NOT NULL DEFAULT 0, branch TEXT, enabled INTEGER NOT NULL DEFAULT 1);
INSERT INTO crons VALUES (1, 'nightly', 1, 1, 1700000000, '@daily', 1, 'main', 1), (2, 'off', 1, 1, 1700000000, '@daily', 1, 'main', 0);
CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY, data BLOB, labels TEXT, dependencies TEXT, run_on TEXT, dependencies_status TEXT, agent_id INTEGER);
INSERT INTO tasks VALUES ('12', x'00ff', '{}', NULL, NULL, NULL, 0);
