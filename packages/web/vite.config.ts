import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// `npm run build:web` writes `dist`, which the gateway serves; `npm run dev:web` serves the sources and asks a running gateway.
export default defineConfig({
  root: fileURLToPath(new URL("./", import.meta.url)),
  clearScreen: false,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    // Everything is a file of its own: the content security policy allows no script in the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "/console": "http://127.0.0.1:8800" } },
});
