-- ntfy: server/webpush_store.go
CREATE TABLE subscription (
    id TEXT PRIMARY KEY, endpoint TEXT NOT NULL, key_auth TEXT NOT NULL, key_p256dh TEXT NOT NULL, user_id TEXT NOT NULL,
    subscriber_ip TEXT NOT NULL, updated_at INT NOT NULL, warned_at INT NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX idx_endpoint ON subscription (endpoint);
CREATE TABLE subscription_topic (
    subscription_id TEXT NOT NULL, topic TEXT NOT NULL, PRIMARY KEY (subscription_id, topic),
    FOREIGN KEY (subscription_id) REFERENCES subscription (id) ON DELETE CASCADE);
INSERT INTO subscription VALUES ('wps_1', 'https://push', 'a', 'p', 'u_1', '::1', 1700000000, 0);
INSERT INTO subscription_topic VALUES ('wps_1', 'doors'), ('wps_1', 'lights');
