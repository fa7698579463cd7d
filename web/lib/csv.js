/** Comma-separated values (RFC 4180), and what spreadsheets make of them: byte order marks, semicolons. */

/** A field that a spreadsheet would take for a formula, guarded or not. Source: OWASP, CSV Injection. */
const FORMULA = /^'*[=+\-@\t\r]/;
const GUARDED = /^'(?='*[=+\-@\t\r])/;

export class CsvFault extends Error {
  /** @param {string} slug @param {number} line */
  constructor(slug, line) {
    super(`${slug}, line ${line}`);
    Object.assign(this, { slug, line });
  }
}

/**
 * The records of a text. Lines with nothing in them are left out.
 *
 * @param {string} text
 * @returns {{line: number, fields: string[]}[]}  line: where the record begins, from 1
 * @throws {CsvFault} `comilla` (a quote that nothing closes, or something behind the one that does)
 */
export function parse(text) {
  const source = text.replace(/^\uFEFF/, "");
  const separator = separatorOf(source);
  const records = [];
  let line = 1;
  for (let at = 0; at < source.length;) {
    const record = { line, fields: [] };
    let more = true;
    while (more) {
      const field = source[at] === '"' ? quoted(source, at, line) : bare(source, at, separator);
      record.fields.push(field.value);
      at = field.end;
      line += field.lines;
      more = source[at] === separator;
      if (more) at += 1;
      else if (at < source.length && source[at] !== "\r" && source[at] !== "\n") throw new CsvFault("comilla", line);
    }
    if (source[at] === "\r" && source[at + 1] === "\n") at += 1;
    at += 1;
    line += 1;
    if (record.fields.length > 1 || record.fields[0].trim()) records.push(record);
  }
  return records;
}

/** @param {any[][]} rows @returns {string}  with a byte order mark, and nothing that a spreadsheet would reckon */
export const format = (rows) => `\uFEFF${rows.map((row) => `${row.map(written).join(",")}\r\n`).join("")}`;

function written(value) {
  const text = String(value ?? "");
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** A field without the guard that `format` puts before what looks like a formula. */
export const unguarded = (text) => text.replace(GUARDED, "");

function quoted(source, from, line) {
  let value = "";
  for (let at = from + 1; ;) {
    const end = source.indexOf('"', at);
    if (end < 0) throw new CsvFault("comilla", line);
    value += source.slice(at, end);
    if (source[end + 1] !== '"') return { value, end: end + 1, lines: value.split(/\r\n|\r|\n/).length - 1 };
    value += '"';
    at = end + 2;
  }
}

function bare(source, from, separator) {
  let end = from;
  while (end < source.length && source[end] !== separator && source[end] !== "\n" && source[end] !== "\r") end += 1;
  return { value: source.slice(from, end), end, lines: 0 };
}

/** Where a comma parts decimals, spreadsheets part fields by semicolons. Seen by the first line. */
function separatorOf(source) {
  const [head] = source.split(/[\r\n]/, 1);
  return ["\t", ";"].find((candidate) => head.includes(candidate) && !head.includes(",")) ?? ",";
}
