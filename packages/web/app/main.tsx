/**
 * Begins.
 * @module
 */
import { render } from "preact";
import { takeAccessFromAddress } from "./api/access.ts";
import { watchStatus } from "./api/status.ts";
import { Shell } from "./shell.tsx";
import "./styles/base.css";

takeAccessFromAddress();
watchStatus();
render(<Shell />, document.getElementById("app")!);
// What the time to interactive is measured by.
requestAnimationFrame(() => performance.mark("interactive"));
