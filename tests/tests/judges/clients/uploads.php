<?php
// Uploads by extensions of PHP, and prints for each how many of the uploads got the whole refusal.
//
// Arguments: LIBRARY,LIBRARY… URL AUTHORITY SIZE TRIES MESSAGE; an empty AUTHORITY means plain HTTP.

[, $libraries, $url, $authority, $size, $tries, $message] = $argv;
$body = str_repeat("x", (int) $size);

function by_stream($url, $authority, $body) {
    $context = stream_context_create([
        "http" => ["method" => "PUT", "content" => $body, "ignore_errors" => true, "timeout" => 60,
                   "header" => "Content-Type: text/plain"],
        "ssl" => ["cafile" => $authority],
    ]);
    $text = @file_get_contents($url, false, $context);
    // The line of the status, such as "HTTP/1.1 413 Payload Too Large".
    return [(int) (explode(" ", $http_response_header[0] ?? "no status")[1]), $text];
}

function by_curl($url, $authority, $body) {
    $client = curl_init($url);
    curl_setopt_array($client, [
        CURLOPT_CUSTOMREQUEST => "PUT", CURLOPT_POSTFIELDS => $body, CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 60,
    ]);
    if ($authority !== "") {
        curl_setopt($client, CURLOPT_CAINFO, $authority);
    }
    $text = curl_exec($client);
    return [curl_getinfo($client, CURLINFO_RESPONSE_CODE), $text];
}

$uploads = ["streams" => "by_stream", "curl" => "by_curl"];
foreach (explode(",", $libraries) as $library) {
    $complete = 0;
    for ($i = 0; $i < (int) $tries; $i++) {
        $answer = $uploads[$library]($url, $authority, $body);
        if ($answer === [413, $message]) {
            $complete++;
        } else {
            fwrite(STDERR, json_encode($answer) . "\n");
        }
    }
    echo "$complete\n";
}
