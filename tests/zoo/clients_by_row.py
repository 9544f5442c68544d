"""Which client confirms which row of the probe. Rows that are not here are not confirmed."""

import clients as c
import clients_tls as t

# The probe's row: the client's name in the table, and the client.
BY_ROW = {
    "early.stops_at_error": ("http.client", c.python_upload(c.whole)),
    "early.writes_then_reads": ("sockets", c.writes_then_reads),
    "early.reads_while_writing": ("curl", c.curl_upload("--http1.1")),
    "early.chunked": ("http.client", c.python_upload(c.chunked)),
    "early.expect": ("sockets", c.asks_first),
    "early.slow": ("http.client", c.python_upload(c.slow)),
    "close.requested": ("sockets", c.close_requested),
    "close.idle": ("sockets", c.close_idle),
    "close.pipelined": ("sockets", c.close_pipelined),
    "close.half_closed": ("sockets", c.close_half_closed),
    "error.bad_request": ("sockets", c.refused_as_wrong(c.BAD)),
    "error.headers_too_large": ("sockets", c.refused_as_wrong(c.LARGE)),
    "tls.close_notify": ("ssl", t.close_notify(c.LAST, idle=False)),
    "tls.close_notify_idle": ("ssl", t.close_notify(c.head(), idle=True)),
    "tls.answered": ("ssl", t.close_notify_answered),
    "alert.protocol": ("ssl", t.alert(t.unknown_protocol)),
    "alert.version": ("ssl", t.alert(t.old_version)),
    "h2.refused_upload": ("curl", t.http2_upload),
    "h2.idle": ("frames", t.goes_away(t.http2_get, idle=True)),
    "h2.garbage": ("frames", t.goes_away(t.http2_garbage, idle=False)),
}
