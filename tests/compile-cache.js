// Compiled code is kept between test files, each of which is a process of its own. Plain JavaScript, since it is loaded before all else.
import { enableCompileCache } from "node:module";

enableCompileCache();
