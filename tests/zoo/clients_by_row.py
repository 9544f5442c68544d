"""Which client checks which row of the probe. No client checks the rows that are not here."""

import clients_end as e
import clients_tls as t
import clients_upload as u
from site_under_test import head

# Row of the probe: (name of the client in the table, client).
BY_ROW = {
    "early.stops_at_error": ("http.client", u.python_upload(u.whole)),
    "early.writes_then_reads": ("sockets", u.writes_then_reads),
    "early.reads_while_writing": ("curl", u.reads_while_writing),
    "early.chunked": ("http.client", u.python_upload(u.chunked)),
    "early.expect": ("sockets", u.asks_first),
    "early.slow": ("http.client", u.python_upload(u.slow)),
    "close.requested": ("sockets", e.close_requested),
    "close.idle": ("sockets", e.close_idle),
    "close.pipelined": ("sockets", e.close_pipelined),
    "close.half_closed": ("sockets", e.close_half_closed),
    "error.bad_request": ("sockets", e.refused_as_wrong(e.BAD)),
    "error.headers_too_large": ("sockets", e.refused_as_wrong(e.LARGE)),
    "tls.close_notify": ("ssl", t.close_notify(e.LAST, idle=False)),
    "tls.close_notify_idle": ("ssl", t.close_notify(head(), idle=True)),
    "tls.answered": ("ssl", t.close_notify_answered),
    "alert.protocol": ("ssl", t.alert(t.unknown_protocol)),
    "alert.version": ("ssl", t.alert(t.old_version)),
    "h2.refused_upload": ("h2", t.http2_upload),
    "h2.idle": ("frames", t.goes_away(t.http2_get, idle=True)),
    "h2.garbage": ("frames", t.goes_away(t.http2_garbage, idle=False)),
}
