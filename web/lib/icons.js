/** Line icons, 24 by 24, drawn for this client. They say nothing by themselves: a word stands beside each, or labels it. */

import { html } from "./html.js";

const PATHS = {
  tienda: "M4 9h16l-1-4H5zM5 9v10h14V9M9.5 19v-5h5v5M4 9c0 3 4 3 4 0 0 3 4 3 4 0 0 3 4 3 4 0 0 3 4 3 4 0",
  pedidos: "M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6",
  cuenta: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20c1-3.5 4-5 7.5-5s6.5 1.500 7.500 5",
  gestion: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.500v5M9 14.500v5",
  operacion: "M3 12h4l2.500-7 5 14 2.500-7h4",
  carrito:
    "M3 4h2.500l2 11h10l2-8H6.300M9 20.500a1 1 0 1 0 0-2 1 1 0 0 0 0 2zM16.500 20.500a1 1 0 1 0 0-2 1 1 0 0 0 0 2z",
  buscar: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500L20 20",
  mas: "M12 5v14M5 12h14",
  menos: "M5 12h14",
  cerrar: "M6 6l12 12M18 6L6 18",
  bien: "M5 12.500l4.500 4.500L19 7.500",
  aviso: "M12 4l9 16H3zM12 10v4.500M12 17.300v.2",
  reloj: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.500 2",
  borrar: "M5 7h14M9.500 7V4.500h5V7M7 7l1 13h8l1-13",
  salir: "M14 4H5v16h9M10 12h10M16.500 8l4 4-4 4",
  atras: "M19 12H5M11 6l-6 6 6 6",
  adelante: "M5 12h14M13 6l6 6-6 6",
  dispositivo: "M4 5h16v11H4zM9 20h6M12 16v4",
  llave: "M14.500 13.500a4.500 4.500 0 1 0-4-4L3.500 16.500V20.500H7.500V18H10V15.500H12.500z",
  descargar: "M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 20h14",
  editar: "M5 19l1-4L16.500 4.500l3 3L9 18zM14 7l3 3",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>`;
}
