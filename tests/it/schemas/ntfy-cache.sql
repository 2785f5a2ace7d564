-- ntfy: server/message_cache_sqlite.go
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, mid TEXT NOT NULL, time INT NOT NULL, expires INT NOT NULL, topic TEXT NOT NULL,
    message TEXT NOT NULL, published INT NOT NULL);
INSERT INTO messages VALUES
    (1, 'sent', 1700000000, 1700043200, 'doors', 'open', 1), (2, 'due', 1700000000, 1700043200, 'doors', 'while away', 0),
    (3, 'next-century', 4102444800, 4102488000, 'doors', 'happy new year', 0);
