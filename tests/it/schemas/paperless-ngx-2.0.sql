-- Paperless-ngx 2.0: src/paperless_mail/migrations up to 0023, before 0026_mailrule_enabled.py
CREATE TABLE paperless_mail_mailrule (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name varchar(256) NOT NULL, "order" INTEGER NOT NULL, folder varchar(256) NOT NULL,
    action INTEGER unsigned NOT NULL, account_id bigint NOT NULL);
INSERT INTO paperless_mail_mailrule VALUES (1, 'bills', 0, 'INBOX', 1, 1), (2, 'scans', 1, 'INBOX', 2, 1);
CREATE TABLE paperless_mail_processedmail (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, uid varchar(256) NOT NULL,
    rule_id bigint NOT NULL REFERENCES paperless_mail_mailrule (id) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO paperless_mail_processedmail VALUES (1, 'u', 1);
