# Uploads by Ruby, and prints how many of the uploads got the whole refusal.
#
# Arguments: LIBRARY URL AUTHORITY SIZE TRIES MESSAGE; an empty AUTHORITY means plain HTTP.

require "net/http"

_, url, authority, size, tries, message = ARGV
url = URI(url)
body = "x" * size.to_i

complete = tries.to_i.times.count do
  client = Net::HTTP.new(url.host, url.port)
  client.read_timeout = client.write_timeout = 60
  unless authority.empty?
    client.use_ssl = true
    client.ca_file = authority
  end
  answer = client.start { client.send_request("PUT", url.path, body) }
  answer.code == "413" && answer.body == message
rescue SystemCallError, IOError, OpenSSL::SSL::SSLError, Timeout::Error => error
  warn error.inspect
  false
end
puts complete
