/** The services and the circuits between them: drawn, and in words. */

import { clock } from "../lib/format.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { useNow } from "../lib/load.js";
import { SERVICIOS } from "../lib/operation.js";
import { figure } from "../lib/plot.js";
import { Countdown, Icon } from "../lib/ui.js";

const BOX = { width: 140, height: 78 };
const PLACES = { pedidos: [4, 4], auth: [256, 4], inventario: [4, 218], productos: [256, 218] };
/** Who calls whom; where each line runs, and where its word stands. */
const LINES = [
  { de: "pedidos", nombre: "inventario", from: [74, 82], to: [74, 212], word: [96, 150], anchor: "start" },
  { de: "pedidos", nombre: "productos", from: [138, 82], to: [286, 212], word: [246, 130], anchor: "start" },
  { de: "inventario", nombre: "productos", from: [144, 257], to: [250, 257], word: [197, 287], anchor: "middle" },
];

/** The circuits that are known to be, with what their service says of each; `estado` null: it does not answer. */
export const circuitosDe = (documents) =>
  LINES.map(({ de, nombre }) => {
    const known = documents[de]?.circuitos.find((circuito) => circuito.nombre === nombre);
    return {
      de,
      nombre,
      estado: known?.estado ?? null,
      fallos: known?.fallos ?? 0,
      abre_hasta: known?.abre_hasta ?? null,
    };
  });

export function Diagrama({ documents }) {
  const circuitos = circuitosDe(documents);
  return html`<svg class="diagram" viewBox="0 0 400 300" role="img" aria-label=${t("operacion.diagrama")}>
    ${LINES.map((line, at) => html`<${Line} key=${at} ...${line} circuito=${circuitos[at]} />`)}
    ${SERVICIOS.map(
      (servicio) => html`<${Node} key=${servicio} servicio=${servicio} documento=${documents[servicio]} />`,
    )}
  </svg>`;
}

function Node({ servicio, documento }) {
  const [x, y] = PLACES[servicio];
  const { por_segundo, latencia_ms } = documento?.peticiones ?? {};
  return html`<g
    class=${documento ? "node" : "node down"} transform="translate(${x} ${y})"
    data-testid="servicio" data-servicio=${servicio}
  >
    <rect width=${BOX.width} height=${BOX.height} rx="12" />
    <text class="node-name" x="14" y="27">${t(`nombre.${servicio}`)}</text>
    ${
      documento
        ? html`<path class="sign" d="M114 22l4.500 4.500L127 17" />
          <text x="14" y="48">${t("operacion.peticiones", { valor: figure(por_segundo, "") })}</text>
          <text x="14" y="66">${t("operacion.p95", { valor: figure(latencia_ms.p95, "ms") })}</text>`
        : html`<path class="sign" d="M115 16l11 11M126 16l-11 11" />
          <text x="14" y="50">${t("operacion.noResponde")}</text>`
    }
  </g>`;
}

function Line({ from, to, word, anchor, circuito: { estado, abre_hasta } }) {
  const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  const angle = (Math.atan2(to[1] - from[1], to[0] - from[0]) * 180) / Math.PI;
  return html`<g
    class="circuit ${(estado ?? "desconocido").toLowerCase()}" data-testid="circuito" data-estado=${estado ?? ""}
  >
    <line class="wire" x1=${from[0]} y1=${from[1]} x2=${to[0]} y2=${to[1]} />
    <path class="tip" d="M0 0l-9 -5v10z" transform="translate(${to[0]} ${to[1]}) rotate(${angle})" />
    <g transform="translate(${middle[0]} ${middle[1]}) rotate(${angle})">
      <rect class="gap" x="-16" y="-14" width="32" height="18" />
      <path class="arm" d=${ARMS[estado] ?? "M-16 0h8M16 0h-8"} />
      <circle cx="-16" cy="0" r="3.500" /><circle cx="16" cy="0" r="3.500" />
    </g>
    <text x=${word[0]} y=${word[1]} text-anchor=${anchor}>
      <tspan class="word">${t(`circuito.${estado ?? "desconocido"}`)}</tspan>
      ${estado === "ABIERTO" && abre_hasta && html`<tspan x=${word[0]} dy="16"><${Left} until=${abre_hasta} /></tspan>`}
    </text>
  </g>`;
}

/** A switch as electricians draw it. */
const ARMS = { CERRADO: "M-16 0h32", ABIERTO: "M-16 0l26 -15", SEMIABIERTO: "M-16 0l31 -6" };

function Left({ until }) {
  return clock((Date.parse(until) - useNow(true, 500)) / 1000);
}

/** The same in words. */
export function Circuitos({ documents }) {
  return html`<ul class="circuits" data-testid="circuitos">
    ${circuitosDe(documents).map(
      ({ de, nombre, estado, fallos, abre_hasta }) => html`<li key=${`${de} ${nombre}`}>
        <span class="grow">${t("circuito.de", { de: t(`nombre.${de}`), a: t(`nombre.${nombre}`) })}</span>
        <${Badge} estado=${estado} />
        <span class="soft small figures">
          ${
            estado === "ABIERTO" && abre_hasta
              ? html`${t("circuito.prueba")} <${Countdown} until=${Date.parse(abre_hasta)} />`
              : estado && t("circuito.fallos", { n: fallos })
          }
        </span>
      </li>`,
    )}
  </ul>`;
}

const LOOKS = { CERRADO: ["good", "bien"], ABIERTO: ["bad", "cerrar"], SEMIABIERTO: ["warning", "reloj"] };

function Badge({ estado }) {
  const [kind, icon] = LOOKS[estado] ?? ["neutral", "aviso"];
  return html`<span class="badge ${kind}"><${Icon} name=${icon} />${t(`circuito.${estado ?? "desconocido"}`)}</span>`;
}
