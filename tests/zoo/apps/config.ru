run lambda { |env|
  env["REQUEST_METHOD"] == "PUT" ? [413, { "content-length" => "4" }, ["big\n"]] : [200, { "content-length" => "6" }, ["hello\n"]]
}
