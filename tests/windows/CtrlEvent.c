/* Sends a console event to a process, as Windows does it: by a thread in the process that runs `CtrlRoutine` with the
   event's number. GenerateConsoleCtrlEvent would need a console, which Wine without a terminal has not, and sends
   Ctrl-C and Ctrl-Break only. */
#include <stdlib.h>
#include <windows.h>

int main(int count, char **words) {
    if (count != 3) return 2;
    HANDLE process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, strtoul(words[2], NULL, 10));
    FARPROC routine = GetProcAddress(GetModuleHandleA("kernelbase"), "CtrlRoutine");
    if (!process || !routine) return 1;
    void *event = (void *)(ULONG_PTR)strtoul(words[1], NULL, 10);
    return CreateRemoteThread(process, NULL, 0, (LPTHREAD_START_ROUTINE)routine, event, 0, NULL) ? 0 : 1;
}
