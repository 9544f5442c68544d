run lambda { |env|
  refused = env["REQUEST_METHOD"] == "PUT"
  body = refused ? "big\n" : "hello\n"
  [refused ? 413 : 200, { "content-length" => body.bytesize.to_s }, [body]]
}
