/* Wine before 9 has no bcryptprimitives.dll, and Rust's standard library asks it for random bytes: an older function of
   Windows gives them here. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return SystemFunction036(buffer, (ULONG)length);
}
