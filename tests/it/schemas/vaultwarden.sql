-- Vaultwarden: migrations/sqlite/2021-08-30-193501_create_emergency_access
CREATE TABLE emergency_access (
    uuid TEXT NOT NULL PRIMARY KEY, grantor_uuid TEXT, grantee_uuid TEXT, email TEXT, key_encrypted TEXT, atype INTEGER NOT NULL,
    status INTEGER NOT NULL, wait_time_days INTEGER NOT NULL, recovery_initiated_at DATETIME, last_notification_at DATETIME,
    updated_at DATETIME NOT NULL, created_at DATETIME NOT NULL);
INSERT INTO emergency_access VALUES
    ('waits', 'a', 'b', NULL, 'k', 0, 3, 7, '2020-01-01 00:00:00', NULL, '2020-01-01 00:00:00', '2020-01-01 00:00:00'),
    ('confirmed', 'a', 'c', NULL, 'k', 0, 2, 7, NULL, NULL, '2020-01-01 00:00:00', '2020-01-01 00:00:00'),
    ('granted', 'a', 'd', NULL, 'k', 0, 4, 7, '2020-01-01 00:00:00', NULL, '2020-01-01 00:00:00', '2020-01-01 00:00:00');
