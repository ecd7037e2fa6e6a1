/** What the Pod Security Standard "restricted" asks for, and a file system that is read only. @see https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
export const restricted = {
  pod: {
    runAsNonRoot: true,
    runAsUser: 10001,
    runAsGroup: 10001,
    fsGroup: 10001,
    fsGroupChangePolicy: "OnRootMismatch",
    seccompProfile: { type: "RuntimeDefault" },
  },
  container: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
};
