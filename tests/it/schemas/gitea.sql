-- Gitea 1.21: models/webhook, models/repo/{mirror,pushmirror}.go, models/actions/schedule_spec.go, models/auth/source.go, models/user/user.go
CREATE TABLE webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, repo_id INTEGER, owner_id INTEGER, is_system_webhook INTEGER, url TEXT, events TEXT,
    is_active INTEGER, type TEXT, last_status INTEGER, created_unix INTEGER, updated_unix INTEGER);
INSERT INTO webhook (id, repo_id, url, is_active) VALUES (1, 1, 'http://live', 1), (2, 1, 'http://off', 0), (3, 0, 'http://null', NULL), (4, 0, 'http://live', 1);
CREATE TABLE hook_task (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, hook_id INTEGER, uuid TEXT, payload_content TEXT, event_type TEXT, is_delivered INTEGER,
    delivered INTEGER, is_succeed INTEGER, request_content TEXT, response_content TEXT);
INSERT INTO hook_task (id, hook_id, uuid, is_delivered) VALUES (1, 1, 'u1', 1), (2, 1, 'u2', 0);
CREATE TABLE mirror (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, repo_id INTEGER, interval INTEGER, enable_prune INTEGER NOT NULL DEFAULT 1,
    updated_unix INTEGER, next_update_unix INTEGER, lfs_enabled INTEGER NOT NULL DEFAULT 0, lfs_endpoint TEXT, remote_address TEXT);
INSERT INTO mirror (id, repo_id, interval, updated_unix, next_update_unix) VALUES (1, 5, 28800000000000, 1, 1700000000), (2, 6, 0, 1, 0);
CREATE TABLE push_mirror (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, repo_id INTEGER, remote_name TEXT, remote_address TEXT,
    sync_on_commit INTEGER NOT NULL DEFAULT 1, interval INTEGER, created_unix INTEGER, last_update INTEGER, last_error TEXT);
INSERT INTO push_mirror (id, repo_id, sync_on_commit, interval, last_update) VALUES (1, 5, 1, 28800000000000, 1), (2, 5, 0, 0, 1), (3, 6, 1, 0, 1), (4, 6, 0, 60, 1);
CREATE TABLE action_schedule_spec (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, repo_id INTEGER, schedule_id INTEGER, next INTEGER, prev INTEGER, spec TEXT,
    created INTEGER, updated INTEGER);
INSERT INTO action_schedule_spec VALUES (7, 5, 3, 1700000000, NULL, '@daily', 1, 1);
CREATE TABLE user (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, lower_name TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL,
    email_notifications_preference TEXT NOT NULL DEFAULT 'enabled');
INSERT INTO user VALUES
    (1, 'a', 'a', 'a@example.com', 'enabled'), (2, 'b', 'b', 'b@example.com', 'onmention'), (3, 'c', 'c', 'c@example.com', 'disabled'),
    (4, 'd', 'd', 'd@example.com', 'andyourown');
CREATE TABLE login_source (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, type INTEGER, name TEXT, is_active INTEGER NOT NULL DEFAULT 0,
    is_sync_enabled INTEGER NOT NULL DEFAULT 0, cfg TEXT, created_unix INTEGER, updated_unix INTEGER);
INSERT INTO login_source (id, type, name, is_active, is_sync_enabled) VALUES (1, 2, 'ldap', 1, 1), (2, 6, 'oauth', 1, 0);
