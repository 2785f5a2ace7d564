#!/bin/bash
# Installs Strapi with an application that has one content type, unless it is there already. Needs Node.js 20 and, for
# its database driver, a C++ compiler and Node's headers; 3 min, 810 MB.
set -euo pipefail
. "$(dirname "$0")/env.sh"
version=5.31.0
[ "$(cat "$DIR/app/installed" 2>/dev/null)" != "$version" ] || exit 0
mkdir -p "$DIR/app" && cd "$DIR/app"
mkdir -p config public/uploads src/api/note/{content-types/note,controllers,routes,services}
cat > package.json <<JSON
{ "name": "notes", "version": "1.0.0", "private": true, "strapi": { "uuid": false },
  "dependencies": { "@strapi/strapi": "$version", "better-sqlite3": "12.4.1" } }
JSON
cat > config/database.js <<'JS'
module.exports = ({ env }) => ({
    connection: { client: 'sqlite', connection: { filename: env('DATABASE_FILENAME') }, useNullAsDefault: true },
});
JS
cat > config/server.js <<'JS'
module.exports = ({ env }) => ({
    host: '127.0.0.1', port: env.int('PORT'), app: { keys: ['for tests only'] }, cron: { enabled: env.bool('CRON_ENABLED', false) },
});
JS
cat > config/admin.js <<'JS'
const secret = 'for tests only, thirty-two bytes';
module.exports = {
    auth: { secret }, apiToken: { salt: secret }, transfer: { token: { salt: secret } }, secrets: { encryptionKey: secret },
    serveAdminPanel: false,
};
JS
cat > config/middlewares.js <<'JS'
module.exports = ['errors', 'security', 'cors', 'query', 'body', 'session', 'favicon', 'public'].map((name) => `strapi::${name}`);
JS
echo 'module.exports = {};' | tee config/api.js > src/index.js
cat > src/api/note/content-types/note/schema.json <<'JSON'
{ "kind": "collectionType", "collectionName": "notes",
  "info": { "singularName": "note", "pluralName": "notes", "displayName": "Note" },
  "options": { "draftAndPublish": false }, "attributes": { "title": { "type": "string" } } }
JSON
for part in controllers:Controller routes:Router services:Service; do
    echo "module.exports = require('@strapi/strapi').factories.createCore${part#*:}('api::note.note');" > "src/api/note/${part%:*}/note.js"
done
npm install --no-audit --no-fund --loglevel=error --ignore-scripts
# npm may not run install scripts; and there may be no prebuilt driver to be had.
node_gyp=$(npm root -g)/npm/node_modules/node-gyp/bin/node-gyp.js
headers=$(dirname "$(dirname "$(command -v node)")")
(cd node_modules/better-sqlite3 && node "$node_gyp" rebuild --release --nodedir="$headers" > /dev/null 2>&1)
echo "$version" > installed
