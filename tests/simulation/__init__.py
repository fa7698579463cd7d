"""A deterministic simulation of Comanda: many replicas, many clients and every kind of fault in one seeded event loop.

What is real: domain, almacen, saga, services, repositories, recovery, sweepers, idempotency keys, circuits, the clients
of the neighbours, SQLAlchemy, and SQLite files with one set of connections for each simulated process. What is not:
ASGI, sockets, tokens and start-up. Requests enter the use cases through `doors.py`, which does what the routes do,
because a run must cost a third of a second and the HTTP layer would cost more than everything else together.

    PYTHONPATH=tests python -m simulation --seed 42 --trace      one run, every event of it
    PYTHONPATH=tests python -m simulation --seeds 0..9999 --jobs 2
"""
