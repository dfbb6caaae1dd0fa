internal import CMalloc

/// What the process holds without using it.
enum UnusedMemory {
    /// Gives it back to the system. A reload reads and checks a whole file, and what that took stays with the allocator
    /// otherwise, for each thread that ever did it. Takes milliseconds: never on the request path.
    static func release() { malloc_trim(0) }
}
