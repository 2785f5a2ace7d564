-- Paperless-ngx 2.13: src/paperless_mail/models.py, src/documents/models.py
CREATE TABLE paperless_mail_mailrule (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name varchar(256) NOT NULL, "order" INTEGER NOT NULL, folder varchar(256) NOT NULL,
    action INTEGER unsigned NOT NULL, account_id bigint NOT NULL, enabled bool NOT NULL);
INSERT INTO paperless_mail_mailrule VALUES (1, 'bills', 0, 'INBOX', 1, 1, 1), (2, 'off', 1, 'INBOX', 2, 1, 0), (3, 'scans', 2, 'INBOX', 3, 1, 1);
CREATE TABLE documents_workflow (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name varchar(256) NOT NULL UNIQUE, "order" INTEGER NOT NULL, enabled bool NOT NULL);
INSERT INTO documents_workflow VALUES (1, 'tell', 0, 1), (2, 'off', 0, 0);
