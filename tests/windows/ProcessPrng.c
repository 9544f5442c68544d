/* Rust's standard library gets random bytes from bcryptprimitives.dll, which Wine lacks before version 9. This
   one takes them from an older function of Windows. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return SystemFunction036(buffer, (ULONG)length);
}
