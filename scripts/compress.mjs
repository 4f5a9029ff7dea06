// Compresses the files of a folder beside themselves, as .br and .gz, so that the service need not do it for each browser.
// What does not get smaller is left as it is. Usage: node scripts/compress.mjs FOLDER
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const COMPRESSED = /\.(html|js|mjs|css|svg|json|map|txt|webmanifest|wasm|ico)$/;

for (const name of readdirSync(process.argv[2], { recursive: true })) {
  const path = join(process.argv[2], name);
  if (!COMPRESSED.test(name) || !statSync(path).isFile()) continue;
  const bytes = readFileSync(path);
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  for (const [end, made] of [[".br", brotliCompressSync(bytes, quality)], [".gz", gzipSync(bytes, { level: 9 })]]) {
    if (made.length < bytes.length) writeFileSync(path + end, made);
  }
}
