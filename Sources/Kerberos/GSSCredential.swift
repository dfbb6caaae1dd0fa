internal import CGSSAPI
internal import Glibc

/// A credential of the Kerberos mechanism of GSSAPI (RFC 2743). Unchecked, as the handle never changes and the library locks what is
/// behind it, so several threads may use it.
@safe final class GSSCredential: @unchecked Sendable {
    private let handle: gss_cred_id_t?

    private init(_ handle: gss_cred_id_t?) { unsafe self.handle = unsafe handle }

    deinit {
        var minor: OM_uint32 = 0
        var handle = unsafe handle
        unsafe gss_release_cred(&minor, &handle)
    }

    /// The keys that somebody has in a keytab. Nobody is asked.
    convenience init(accepting name: String, keytab: String) throws(KerberosError) {
        unsafe self.init(try Self.acquire(name, keytab, usage: GSS_C_ACCEPT))
    }

    /// The ticket of somebody whose keys are in a keytab; asks the KDC, unless there is one that is good for long enough.
    ///
    /// - Parameter cache: where tickets are kept; nil for the one that the process has for this name.
    convenience init(of name: String, keytab: String, cache: String? = nil) throws(KerberosError) {
        unsafe self.init(try Self.acquire(name, keytab, usage: GSS_C_BOTH, cache: cache))
    }

    /// Forgets the tickets of a cache. Nobody may use them any more.
    static func destroy(_ cache: String) {
        var context: krb5_context?
        guard unsafe krb5_init_context(&context) == 0 else { return }
        defer { unsafe krb5_free_context(context) }
        var handle: krb5_ccache?
        if unsafe krb5_cc_resolve(context, cache, &handle) == 0 { unsafe krb5_cc_destroy(context, handle) }
    }

    private static func acquire(
        _ name: String,
        _ keytab: String,
        usage: Int32,
        cache: String? = nil
    ) throws(KerberosError) -> gss_cred_id_t? {
        let name = try GSSName(name, .principal)
        var (major, minor): (OM_uint32, OM_uint32) = (0, 0)
        var result: gss_cred_id_t?
        // In memory, and the library renews what is there.
        let cache = cache ?? "MEMORY:\(name.text)"
        unsafe withElements(["keytab", "FILE:\(keytab)", "client_keytab", "FILE:\(keytab)", "ccache", cache]) {
            major = unsafe gss_acquire_cred_from(
                &minor,
                name.handle,
                CGSSAPI_GSS_C_INDEFINITE(),
                kerberos,
                usage,
                $0,
                &result,
                nil,
                nil
            )
        }
        try GSSFault.check(major, minor)
        return unsafe result
    }

    /// The ticket to this credential's owner that somebody else would have (MS-SFU, S4U2self). Asks the KDC.
    func impersonating(_ user: GSSName) throws(KerberosError) -> GSSCredential {
        var minor: OM_uint32 = 0
        var result: gss_cred_id_t?
        let major = unsafe gss_acquire_cred_impersonate_name(
            &minor,
            handle,
            user.handle,
            CGSSAPI_GSS_C_INDEFINITE(),
            Self.kerberos,
            GSS_C_INITIATE,
            &result,
            nil,
            nil
        )
        try GSSFault.check(major, minor)
        return unsafe GSSCredential(result)
    }

    /// The first and only message to a service: a new one each time. Asks the KDC for a ticket to that service, where there is none yet
    /// (MS-SFU, S4U2proxy).
    func token(to service: GSSName) throws(KerberosError) -> [UInt8] {
        var minor: OM_uint32 = 0
        var context: gss_ctx_id_t?
        var output = unsafe gss_buffer_desc()
        let major = unsafe gss_init_sec_context(
            &minor,
            handle,
            &context,
            service.handle,
            CGSSAPI_gss_mech_krb5(),
            0,
            0,
            nil,
            nil,
            nil,
            &output,
            nil,
            nil
        )
        defer {
            var ignored: OM_uint32 = 0
            unsafe gss_release_buffer(&ignored, &output)
            unsafe gss_delete_sec_context(&ignored, &context, nil)
        }
        try GSSFault.check(major, minor)
        return unsafe Array(UnsafeRawBufferPointer(start: output.value, count: output.length))
    }

    // MARK: What the library wants

    /// The mechanism alone. Made once, for as long as the process lives, and only read from then on.
    nonisolated(unsafe) private static let kerberos: gss_OID_set = {
        var minor: OM_uint32 = 0
        var set: gss_OID_set?
        unsafe gss_create_empty_oid_set(&minor, &set)
        unsafe gss_add_oid_set_member(&minor, CGSSAPI_gss_mech_krb5(), &set)
        return unsafe set!
    }()

    /// - Parameter pairs: key, value, key, value.
    private static func withElements(_ pairs: [String], _ body: (UnsafePointer<gss_key_value_set_desc>) -> Void) {
        let texts = unsafe pairs.map { unsafe strdup($0) }
        defer { unsafe texts.forEach { unsafe free($0) } }
        var elements = unsafe stride(from: 0, to: texts.count, by: 2).map {
            unsafe gss_key_value_element_desc(key: texts[$0], value: texts[$0 + 1])
        }
        unsafe elements.withUnsafeMutableBufferPointer { buffer in
            var set = unsafe gss_key_value_set_desc(count: OM_uint32(buffer.count), elements: buffer.baseAddress)
            unsafe body(&set)
        }
    }
}

/// A name that GSSAPI has taken.
@safe final class GSSName {
    enum Kind { case principal, enterprise }

    let text: String
    fileprivate let handle: gss_name_t?

    init(_ text: String, _ kind: Kind) throws(KerberosError) {
        self.text = text
        var (major, minor): (OM_uint32, OM_uint32) = (0, 0)
        var result: gss_name_t?
        var copy = text
        let isPrincipal = kind == .principal
        let type = unsafe isPrincipal ? CGSSAPI_GSS_KRB5_NT_PRINCIPAL_NAME() : CGSSAPI_GSS_KRB5_NT_ENTERPRISE_NAME()
        copy.withUTF8 { bytes in
            var buffer = unsafe gss_buffer_desc(
                length: bytes.count,
                value: UnsafeMutableRawPointer(mutating: UnsafeRawPointer(bytes.baseAddress))
            )
            major = unsafe gss_import_name(&minor, &buffer, type, &result)
        }
        unsafe handle = unsafe result
        try GSSFault.check(major, minor)
    }

    deinit {
        var minor: OM_uint32 = 0
        var handle = unsafe handle
        unsafe gss_release_name(&minor, &handle)
    }
}
