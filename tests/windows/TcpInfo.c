/* Prints whether the system answers SIO_TCP_INFO, by which Windows 10 and later tell how many bytes are in flight. */
#include <stdio.h>
#include <winsock2.h>

#define SIO_TCP_INFO_CODE 0xd8000027u

int main(void) {
    WSADATA data;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int length = sizeof address;
    if (WSAStartup(MAKEWORD(2, 2), &data)) return 1;
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1)) return 1;
    if (getsockname(listener, (struct sockaddr *)&address, &length)) return 1;
    if (connect(client, (struct sockaddr *)&address, length)) return 1;
    DWORD version = 0, written = 0;
    char info[256];
    int failed = WSAIoctl(client, SIO_TCP_INFO_CODE, &version, sizeof version, info, sizeof info, &written, NULL, NULL);
    if (failed) printf("SIO_TCP_INFO is not answered: error %d\n", WSAGetLastError());
    else printf("SIO_TCP_INFO is answered with %lu bytes\n", written);
    return 0;
}
