-- Drone 2: store/shared/migrate/sqlite/files/{004,005,008}
CREATE TABLE cron (
    cron_id INTEGER PRIMARY KEY AUTOINCREMENT, cron_repo_id INTEGER, cron_name TEXT, cron_expr TEXT, cron_next INTEGER,
    cron_disabled BOOLEAN);
INSERT INTO cron VALUES (1, 1, 'nightly', '@daily', 1700000000, 0), (2, 1, 'off', '@daily', 1700000000, 1), (3, 1, 'old', '@daily', 1700000000, NULL);
CREATE TABLE builds (
    build_id INTEGER PRIMARY KEY AUTOINCREMENT, build_repo_id INTEGER, build_number INTEGER, build_status TEXT, build_error TEXT,
    build_started INTEGER, build_finished INTEGER, build_created INTEGER);
INSERT INTO builds VALUES
    (1, 1, 1, 'success', '', 5, 6, 4), (2, 1, 2, 'running', '', 5, 0, 4), (3, 1, 3, 'pending', '', 0, 0, 4), (4, 1, 4, 'killed', '', 5, 6, 4);
CREATE TABLE stages (
    stage_id INTEGER PRIMARY KEY AUTOINCREMENT, stage_build_id INTEGER, stage_number INTEGER, stage_status TEXT, stage_error TEXT,
    stage_started INTEGER, stage_stopped INTEGER);
INSERT INTO stages VALUES
    (1, 1, 1, 'success', '', 5, 6), (2, 2, 1, 'running', '', 5, 0), (3, 3, 1, 'pending', '', 0, 0), (4, 3, 2, 'waiting_on_dependencies', '', 0, 0);
