// Rewrites every <time data-kept-time> into the viewer's zone.
import { ago, day, exact, milli, second, short } from "./time";

const styles: Record<string, (d: Date) => string> = {
  full: (d) => `${day(d)} ${second(d)}`,
  short: (d) => short(d),
  ago: (d) => ago(d),
  clock: milli,
  date: day,
};

function draw(el: HTMLTimeElement): void {
  const d = new Date(el.dateTime);
  const style = styles[el.dataset.keptTime ?? ""];
  if (!style || isNaN(d.getTime())) return;
  const text = style(d);
  if (el.textContent !== text) el.textContent = text;
  const title = exact(d, el.dateTime);
  if (el.title !== title) el.title = title;
}

function drawAll(selector = "time[data-kept-time]"): void {
  document.querySelectorAll<HTMLTimeElement>(selector).forEach(draw);
}

drawAll();
// A swap is followed by this event before the browser paints.
document.addEventListener("htmx:after:swap", () => drawAll());
setInterval(() => {
  if (!document.hidden) drawAll('time[data-kept-time="ago"]');
}, 10_000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) drawAll();
});
