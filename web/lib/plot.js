/** A plot of the last minutes, with a legend in words and a table for whoever does not see it. */

import uPlot from "../vendor/uplot.js";
import { number } from "./format.js";
import { html, useEffect, useId, useLayoutEffect, useRef } from "./html.js";
import { lang, t } from "./i18n.js";
import { SECONDS } from "./operation.js";
import { stylesheet } from "./stylesheet.js";

await stylesheet("vendor/uplot.css");

const HEIGHT = 190;
/** Lines differ by more than their colour. */
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const ROWS = 12;

/**
 * @param {object} props
 * @param {string} props.title
 * @param {string} props.unit  behind each figure: "/s", "ms", ""
 * @param {{name: string, label: string}[]} props.series  at most four
 * @param {(number | null)[][]} props.columns  times in seconds, then each of the series
 * @param {any} [props.extra]  beside the title
 */
export function Plot({ title, unit, series, columns, extra }) {
  const id = useId();
  const last = columns.slice(1).map((column) => column.at(-1) ?? null);
  const said = series.map(({ label }, at) => `${label}: ${figure(last[at], unit)}`).join("; ");
  return html`<figure class="plot card" aria-labelledby=${id}>
    <figcaption class="card-head"><h3 id=${id}>${title}</h3>${extra}</figcaption>
    <ul class="legend">
      ${series.map(
        ({ name, label }, at) => html`<li key=${name}>
          <svg class="swatch series-${at}" viewBox="0 0 28 6" aria-hidden="true">
            <line x1="0" y1="3" x2="28" y2="3" stroke-dasharray=${DASHES[at].join(" ")} />
          </svg>
          ${label} <strong class="figures">${figure(last[at], unit)}</strong>
        </li>`,
      )}
    </ul>
    <${Canvas} label=${`${title}. ${said}`} series=${series} columns=${columns} />
    <details class="soft small">
      <summary>${t("grafico.tabla")}<span class="visually-hidden">: ${title}</span></summary>
      <${Table} title=${title} unit=${unit} series=${series} columns=${columns} />
    </details>
  </figure>`;
}

function Canvas({ label, series, columns }) {
  const place = useRef(null);
  const plot = useRef(null);
  const key = series.map(({ name }) => name).join(" ");

  useLayoutEffect(() => {
    const element = place.current;
    plot.current = new uPlot(options(series, element), columns, element);
    const observer = new ResizeObserver(() => plot.current.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, [key]);
  useEffect(() => plot.current.setData(columns), [columns[0].length, columns[0].at(-1)]);

  return html`<div ref=${place} class="plot-place" role="img" aria-label=${label}></div>`;
}

function options(series, place) {
  const axis = { stroke: colour(place, "color"), font: "12px system-ui, sans-serif", ticks: { show: false } };
  const grid = { stroke: colour(place, "outlineColor"), width: 1 };
  const swatches = place.closest(".plot").querySelectorAll(".swatch");
  return {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 20, 0, 0],
    scales: {
      x: { range: (_, _min, max) => [max - SECONDS, max] },
      y: { range: (_, _min, max) => [0, Math.max((max ?? 0) * 1.15, 1)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 28, space: 70, values: (_, ticks) => ticks.map(time) },
      { ...axis, grid, size: 44, values: (_, ticks) => ticks.map((value) => number(value, { notation: "compact" })) },
    ],
    series: [
      {},
      ...series.map((_, at) => ({
        stroke: colour(swatches[at], "stroke"),
        width: 2,
        dash: DASHES[at],
        points: { show: false },
      })),
    ],
  };
}

/** As the style sheet has it, asked at every drawing, so that another theme is followed. */
const colour = (element, property) => () => getComputedStyle(element)[property];

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString(lang.value, CLOCK);
const exact = (seconds) => new Date(seconds * 1000).toLocaleTimeString(lang.value, { ...CLOCK, second: "2-digit" });

/** A figure with its unit; a dash where nothing was measured. */
export function figure(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "ms" && value >= 1000) return figure(value / 1000, "s");
  const digits = number(value, { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });
  return unit && !unit.startsWith("/") ? `${digits} ${unit}` : `${digits}${unit}`;
}

function Table({ title, unit, series, columns }) {
  const rows = columns[0]
    .map((at, row) => columns.map((column) => column[row]))
    .slice(-ROWS)
    .reverse();
  return html`<table>
    <caption class="visually-hidden">${title}</caption>
    <thead>
      <tr>
        <th scope="col">${t("grafico.hora")}</th>
        ${series.map(({ name, label }) => html`<th scope="col" class="figure" key=${name}>${label}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        ([at, ...values]) => html`<tr key=${at}>
          <th scope="row">${exact(at)}</th>
          ${values.map((value, column) => html`<td class="figure" key=${column}>${figure(value, unit)}</td>`)}
        </tr>`,
      )}
    </tbody>
  </table>`;
}
