internal import CGSSAPI

/// What GSSAPI says of a failure.
enum GSSFault {
    static func check(_ major: OM_uint32, _ minor: OM_uint32) throws(KerberosError) {
        guard CGSSAPI_GSS_ERROR(major) != 0 else { return }
        throw KerberosError(kind(minor), text(major, minor))
    }

    /// The library's numbers for what RFC 4120 section 7.5.9 has, and for its own.
    private static func kind(_ minor: OM_uint32) -> KerberosError.Kind {
        switch Int(Int32(bitPattern: minor)) {
        case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN: .unknownUser
        case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN: .unknownService
        // How MIT's KDC, and how Windows', says that nobody may delegate so.
        case KRB5KDC_ERR_BADOPTION, KRB5KDC_ERR_POLICY: .notDelegated
        case KRB5_REALM_UNKNOWN, KRB5_KDC_UNREACH, KRB5_REALM_CANT_RESOLVE: .unreachable
        default: .other
        }
    }

    private static func text(_ major: OM_uint32, _ minor: OM_uint32) -> String {
        // The mechanism's words say more than GSSAPI's own, where there are any.
        let codes = minor == 0 ? (major, GSS_C_GSS_CODE) : (minor, GSS_C_MECH_CODE)
        var (ignored, more): (OM_uint32, OM_uint32) = (0, 0)
        var parts: [String] = []
        repeat {
            var buffer = unsafe gss_buffer_desc()
            let result = unsafe gss_display_status(&ignored, codes.0, codes.1, CGSSAPI_gss_mech_krb5(), &more, &buffer)
            if CGSSAPI_GSS_ERROR(result) != 0 { break }
            parts.append(
                unsafe String(
                    decoding: UnsafeRawBufferPointer(start: buffer.value, count: buffer.length),
                    as: UTF8.self
                )
            )
            unsafe gss_release_buffer(&ignored, &buffer)
        } while more != 0
        return parts.isEmpty ? "error \(major)/\(minor)" : parts.joined(separator: "; ")
    }
}
