/** Figures as they came, for plots: a few minutes in memory, nothing else. Pure. */

export class History {
  /** @param {number} seconds  how long a figure is kept @param {number} [longest]  between two that a line joins */
  constructor(seconds, longest = Infinity) {
    this.seconds = seconds;
    this.longest = longest;
    /** @type {{time: number, values: Record<string, number | null>}[]} */
    this.points = [];
  }

  /** @param {number} time  seconds since 1970 @param {Record<string, number | null>} values */
  push(time, values) {
    if (time - this.points.at(-1)?.time > this.longest) this.gap();
    this.points.push({ time, values });
    const oldest = time - this.seconds;
    while (this.points[0].time < oldest) this.points.shift();
  }

  /** Nothing was measured for a while: lines break here. */
  gap() {
    const last = this.points.at(-1);
    if (last && Object.keys(last.values).length) this.points.push({ time: last.time + 0.001, values: {} });
  }

  /** Times, and each of those figures; null where there is none. @returns {(number | null)[][]} */
  columns(names) {
    return [
      this.points.map(({ time }) => time),
      ...names.map((name) => this.points.map(({ values }) => values[name] ?? null)),
    ];
  }
}

/** The figures of the four services' documents that plots show, by name; what a service did not say is left out. */
export function figures(documents) {
  const values = {};
  for (const [servicio, documento] of Object.entries(documents)) {
    if (!documento) continue;
    const { peticiones, colas } = documento;
    values[`${servicio}.porSegundo`] = peticiones.por_segundo;
    values[`${servicio}.errores`] = peticiones.errores_por_segundo;
    values[`${servicio}.cola`] = waiting(colas);
    for (const [name, value] of Object.entries(peticiones.latencia_ms)) values[`${servicio}.${name}`] = value;
    if (documento.pedidos_por_segundo !== undefined) values.altas = documento.pedidos_por_segundo;
    for (const [fase, count] of Object.entries(documento.fases ?? {})) values[`fase.${fase}`] = count;
  }
  return values;
}

/** Who waits in all queues together. Of a pool of connections the figure is how many are in use, which is no wait. */
const waiting = (colas) =>
  colas.filter(({ nombre }) => !nombre.startsWith("conexiones-")).reduce((sum, { en_espera }) => sum + en_espera, 0);
