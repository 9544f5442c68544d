// Uploads by Go, and prints how many of the uploads got the whole refusal.
//
// Arguments: LIBRARY URL AUTHORITY SIZE TRIES MESSAGE; an empty AUTHORITY means plain HTTP.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	url, authority, message := os.Args[2], os.Args[3], os.Args[6]
	size, _ := strconv.Atoi(os.Args[4])
	tries, _ := strconv.Atoi(os.Args[5])
	roots := x509.NewCertPool()
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			panic("no authority")
		}
	}
	body, complete := bytes.Repeat([]byte("x"), size), 0
	for i := 0; i < tries; i++ {
		status, text, err := upload(url, body, roots)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		} else if status == 413 && text == message {
			complete++
		}
	}
	fmt.Println(complete)
}

func upload(url string, body []byte, roots *x509.CertPool) (int, string, error) {
	// The server chooses between HTTP/1.1 and HTTP/2.
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 60 * time.Second}
	request, err := http.NewRequest("PUT", url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}
