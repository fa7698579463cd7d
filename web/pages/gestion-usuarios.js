/** Everybody who has an account: role, and whether they may log in. */

import { Gestion, borrada } from "../lib/admin.js";
import { patch } from "../lib/api.js";
import { html, useState } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { usePages } from "../lib/load.js";
import { link } from "../lib/router.js";
import { usuario as propio } from "../lib/session.js";
import { Button, Icon, More, ProblemNote, Skeleton, Time, announce, confirm } from "../lib/ui.js";

export default function Usuarios() {
  const pages = usePages("/auth/usuarios", { limite: 50 });
  const replace = (changed) =>
    pages.change((items) => items.map((usuario) => (usuario.id === changed.id ? changed : usuario)));
  return html`<${Gestion} title=${t("gestion.usuarios")}>
    <${ProblemNote} problem=${pages.problem} onRetry=${pages.reload} />
    ${
      pages.items
        ? html`<ul class="rows" data-testid="usuarios">
          ${pages.items.map(
            (usuario) => html`<li key=${usuario.id}><${Usuario} usuario=${usuario} onChanged=${replace} /></li>`,
          )}
        </ul>`
        : !pages.problem && html`<${Skeleton} rows=${6} />`
    }
    <${More} pages=${pages} />
  <//>`;
}

function Usuario({ usuario, onChanged }) {
  const { id, nombre, rol, activo, creado_en } = usuario;
  const gone = borrada(usuario);
  const email = gone ? t("usuarios.borrada") : usuario.email;
  const [state, setState] = useState({ busy: false, problem: null });

  const change = (cambios, verb) => async () => {
    const sure = await confirm({
      title: t(`usuarios.${verb}`),
      text: t(`usuarios.${verb}.texto`, { email }),
      action: t(`usuarios.${verb}`),
      danger: verb === "desactivar" || verb === "quitarAdmin",
    });
    if (!sure) return;
    setState({ busy: true, problem: null });
    try {
      onChanged(await patch(`/auth/usuarios/${id}`, cambios));
      announce(t("cuenta.guardado"));
      setState({ busy: false, problem: null });
    } catch (problem) {
      setState({ busy: false, problem });
    }
  };
  const act = (cambios, verb) => html`<${Button} kind="quiet" busy=${state.busy} onClick=${change(cambios, verb)}>
    ${t(`usuarios.${verb}`)}<span class="visually-hidden"> ${email}</span>
  <//>`;

  return html`<div class="row" data-testid="usuario">
    <span class="grow user">
      <strong>${email}</strong>
      <span class="soft small">${nombre}${nombre && " · "}${t("usuarios.desde")} <${Time} value=${creado_en} /></span>
      <span class="badges">
        <span class="badge ${rol === "admin" ? "" : "neutral"}"><${Icon} name="cuenta" />${t(`rol.${rol}`)}</span>
        ${
          activo
            ? html`<span class="badge good"><${Icon} name="bien" />${t("usuarios.activo")}</span>`
            : html`<span class="badge bad"><${Icon} name="cerrar" />${t("usuarios.inactivo")}</span>`
        }
        ${
          id === propio.value.id &&
          html`<span class="badge neutral"><${Icon} name="cuenta" />${t("usuarios.usted")}</span>`
        }
      </span>
    </span>
    <span class="row-actions">
      <a class="button quiet" href=${link("/gestion/pedidos", { cliente: id })}>
        ${t("usuarios.pedidos")}<span class="visually-hidden"> ${email}</span>
      </a>
      ${!gone && (rol === "admin" ? act({ rol: "cliente" }, "quitarAdmin") : act({ rol: "admin" }, "hacerAdmin"))}
      ${!gone && (activo ? act({ activo: false }, "desactivar") : act({ activo: true }, "activar"))}
    </span>
    ${state.problem && html`<div class="whole"><${ProblemNote} problem=${state.problem} /></div>`}
  </div>`;
}
