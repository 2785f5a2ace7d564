/* seccomp EPERM|ENOSYS PROGRAM [ARGUMENT...]: runs a program under a filter that answers newer system calls with this
 * error, as the profile of an old container runtime does. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int forbidden[] = {
    SYS_renameat2, SYS_close_range, SYS_syncfs, SYS_sync_file_range, SYS_memfd_create, SYS_copy_file_range,
    SYS_prctl, SYS_capget, SYS_statx,
    424 /* pidfd_send_signal */, 434 /* pidfd_open */, 437 /* openat2 */, 438 /* pidfd_getfd */,
};
enum { COUNT = sizeof forbidden / sizeof *forbidden };

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    int error = strcmp(argv[1], "EPERM") == 0 ? EPERM : ENOSYS;
    struct sock_filter code[COUNT + 3];
    code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < COUNT; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i], COUNT - i, 0);
    code[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    struct sock_fprog filter = {.len = COUNT + 3, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
        perror("seccomp");
        return 1;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
