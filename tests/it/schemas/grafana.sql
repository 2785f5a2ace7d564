-- Grafana 12: pkg/services/sqlstore/migrations/ualert/tables.go, pkg/storage/unified/sql/db/migrations/resource_mig.go
CREATE TABLE alert_rule (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, org_id INTEGER NOT NULL, title TEXT NOT NULL, updated DATETIME NOT NULL,
    uid TEXT NOT NULL DEFAULT 0, is_paused INTEGER NOT NULL DEFAULT 0);
INSERT INTO alert_rule VALUES
    (1, 1, 'cpu', '2026-01-01', 'a', 0), (2, 1, 'disk', '2026-01-01', 'b', 1), (3, 2, 'mail', '2026-01-01', 'c', 0);
CREATE TABLE resource (
    guid TEXT PRIMARY KEY NOT NULL, resource_version INTEGER, "group" TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL,
    name TEXT NOT NULL, value TEXT, action INTEGER NOT NULL, label_set TEXT, previous_resource_version INTEGER,
    folder TEXT NOT NULL DEFAULT '');
CREATE TABLE resource_history (
    guid TEXT PRIMARY KEY NOT NULL, resource_version INTEGER, "group" TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL,
    name TEXT NOT NULL, value TEXT, action INTEGER NOT NULL, label_set TEXT, previous_resource_version INTEGER,
    folder TEXT NOT NULL DEFAULT '');
INSERT INTO resource (guid, "group", resource, namespace, name, value, action) VALUES
    ('g1', 'provisioning.grafana.app', 'repositories', 'default', 'dashboards', '{"spec":{"title":"d","sync":{"enabled":true}}}', 1),
    ('g2', 'provisioning.grafana.app', 'repositories', 'default', 'off', '{"spec":{"sync":{"enabled":false}}}', 1),
    ('g3', 'provisioning.grafana.app', 'repositories', 'default', 'empty', NULL, 1),
    ('g4', 'provisioning.grafana.app', 'jobs', 'default', 'pull', '{"spec":{"action":"pull"}}', 1),
    ('g5', 'dashboard.grafana.app', 'dashboards', 'default', 'x', '{"spec":{"sync":{"enabled":true}}}', 1);
INSERT INTO resource_history SELECT * FROM resource;
