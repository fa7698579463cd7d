"""What a session of ours may ask of PostgreSQL: settings of its manual, §19.7 and §19.11."""

REQUEST_LIMITS = {"lock_timeout": "2s", "statement_timeout": "10s", "idle_in_transaction_session_timeout": "15s"}
"""Whoever waits for a row gives up before its own caller does, who has 3 s by default."""

HOT_ROWS = {"idle_in_transaction_session_timeout": "1500ms"}
"""Where everybody wants the same rows: those of a host that died within a transaction are free again before the others
give up. A process that stands still for so long loses its transaction."""

BY_INDEX = {"enable_seqscan": "off", "jit": "off"}
"""A prepared statement keeps its plan until its table is analysed: one that was made while the table was small would go
on reading all of it, order after order. JIT would take the price that stands for «off» for a reason to compile."""

MIGRATION_LIMITS = {"lock_timeout": "10s"}
"""A migration may work for long, but must not wait for long: every request would queue behind its lock."""
