# Uploads by libraries of Perl, and prints for each how many of the uploads got the whole refusal.
#
# Arguments: LIBRARY,LIBRARY… URL AUTHORITY SIZE TRIES MESSAGE; an empty AUTHORITY means plain HTTP.

use strict;
use warnings;

my ($libraries, $url, $authority, $size, $tries, $message) = @ARGV;
my $body = "x" x $size;
my %upload = ("HTTP::Tiny" => \&by_tiny, "LWP" => \&by_lwp);

sub by_tiny {
    require HTTP::Tiny;
    my $tls = { SSL_ca_file => $authority };
    my $client = HTTP::Tiny->new(timeout => 60, verify_SSL => 1, SSL_options => $tls);
    my $answer = $client->request("PUT", $url, { content => $body });
    return ($answer->{status}, $answer->{content});
}

sub by_lwp {
    require LWP::UserAgent;
    require HTTP::Request;
    my $client = LWP::UserAgent->new(timeout => 60, ssl_opts => { SSL_ca_file => $authority });
    my $answer = $client->request(HTTP::Request->new("PUT", $url, ["Content-Length" => length $body], $body));
    return ($answer->code, $answer->content);
}

# A write to a connection that was reset is an error then, and does not end this program.
$SIG{PIPE} = "IGNORE";
for my $library (split /,/, $libraries) {
    my $complete = 0;
    for (1 .. $tries) {
        my ($status, $text) = $upload{$library}->();
        if ($status == 413 && $text eq $message) {
            $complete++;
        } else {
            print STDERR "$status $text\n";
        }
    }
    print "$complete\n";
}
