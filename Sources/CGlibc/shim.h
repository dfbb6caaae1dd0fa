#ifndef CGLIBC_SHIM_H
#define CGLIBC_SHIM_H
// What Swift's Glibc module leaves out.
#include <sys/sysinfo.h>
#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

// rename(2) with RENAME_EXCHANGE: two files change places.
static inline int CGlibc_exchange(const char *path, const char *other) {
    return (int)syscall(SYS_renameat2, -100 /* AT_FDCWD */, path, -100, other, 2u);
}

// memfd_create(2) and dup3(2), with the flag that closes them on exec.
static inline int CGlibc_memfd_create(const char *name) { return (int)syscall(SYS_memfd_create, name, 1u); }
static inline int CGlibc_dup3(int from, int to) { return (int)syscall(SYS_dup3, from, to, 02000000 /* O_CLOEXEC */); }
#endif
