import uPlot from "../../thirdparty/uplot/uPlot.esm.js";
import type { Options } from "../../thirdparty/uplot/uPlot";

export interface Drawing {
  update(): void;
  redraw(): void;
  destroy(): void;
}
export function draw(host: HTMLElement): Drawing {
  void host; void uPlot;
  const o: Partial<Options> = {}; void o;
  return { update() {}, redraw() {}, destroy() {} };
}
