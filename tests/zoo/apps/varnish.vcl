vcl 4.1;
backend default none;
sub vcl_recv {
    if (req.method == "PUT") { return (synth(413, "Too Large")); }
    return (synth(200, "OK"));
}
